# Clients and a server of one asyncio loop talk over a Unix socket; each round's replies are summed up.
import asyncio
import hashlib

ROUNDS, CLIENTS, MESSAGES = 60, 8, 40


async def serve(reader, writer):
    writer.write(b"welcome\n")
    while line := await reader.readline():
        digest = hashlib.sha256(line).hexdigest()
        writer.write(digest.encode() * (1 + len(line) % 50) + b"\n")
        await writer.drain()
    writer.close()


async def connect():
    # A connection that was not accepted at a checkpoint is closed after the restart.
    while True:
        reader, writer = await asyncio.open_unix_connection("server")
        try:
            if await reader.readline():
                return reader, writer
        except ConnectionError:
            pass
        writer.close()


async def talk(number, connection, round):
    reader, writer = connection
    total = hashlib.sha256()
    for message in range(MESSAGES):
        writer.write(f"{round} {number} {message} ".encode() + b"x" * message + b"\n")
        if message % 8 == 7:
            for _ in range(8):
                total.update(await reader.readline())
    return total.hexdigest()


async def main():
    server = await asyncio.start_unix_server(serve, "server")
    connections = [await connect() for _ in range(CLIENTS)]
    for round in range(ROUNDS):
        if round % 10 == 0:
            # Now and then somebody comes anew.
            connections[0][1].close()
            connections[0] = await connect()
        results = await asyncio.gather(*(talk(n, c, round) for n, c in enumerate(connections)))
        print(round, hashlib.sha256("".join(results).encode()).hexdigest(), flush=True)
        await asyncio.sleep(0.01)
    for _, writer in connections:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.1)


asyncio.run(main())
