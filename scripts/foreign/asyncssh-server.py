"""An asyncssh SFTP server on a folder: PORT HOST_KEY AUTHORIZED_KEYS LIMIT; it takes no request of more than LIMIT bytes."""

import asyncio
import sys

import asyncssh
from asyncssh import sftp

port, host_key, authorized_keys, limit = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
sftp.MAX_SFTP_READ_LEN = limit
sftp.MAX_SFTP_WRITE_LEN = limit
sftp.MAX_SFTP_PACKET_LEN = limit + 1024


async def main() -> None:
    await asyncssh.listen(
        "127.0.0.1",
        port,
        server_host_keys=[host_key],
        authorized_client_keys=authorized_keys,
        sftp_factory=True,
    )
    await asyncio.Event().wait()


asyncio.run(main())
