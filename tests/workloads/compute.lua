-- Tables, strings, closures and coroutines.
local function numbers(state)
    return coroutine.wrap(function()
        while true do
            state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
            coroutine.yield(state >> 16)
        end
    end)
end

local next_number, rows = numbers(1), {}
for step = 1, 1000 do
    local row = {}
    for i = 1, 3000 do row[i] = next_number() % 100000 end
    table.sort(row)
    rows[step] = table.concat(row, ",", 1, 50)
    print(step, rows[step]:gsub("%d", function(digit) return 9 - digit end))
end
print(#table.concat(rows, "\n"))
