"""Some 300 MB of small objects, built and then walked."""

table = {}
for number in range(1_000_000):
    table[number] = (str(number), [number, number + 0.5])
    if number % 50_000 == 0:
        print("built", number, flush=True)

for start in range(0, 1_000_000, 20_000):
    total = 0
    for number in range(start, start + 20_000):
        name, numbers = table[number]
        total += len(name) + numbers[0] + numbers[1]
    print("walked", start, total, flush=True)
