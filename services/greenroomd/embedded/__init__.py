"""PostgreSQL and Valkey from Python wheels, in one data folder, without Docker, root or configuration.

`EmbeddedStack` starts both servers, supervises them and stops them. They live exactly as long as the process
that started them: a clean `stop()` shuts them down, and when the process is killed the kernel takes them with
it (on Linux; elsewhere the next start on the folder ends what was left). Clients reach them through unix
sockets only.

    with EmbeddedStack(default_data_folder()) as stack:
        serve(stack.endpoints.database_url, stack.endpoints.redis_url)
"""

from greenroomd.embedded.errors import EmbeddedError
from greenroomd.embedded.folder import default_data_folder
from greenroomd.embedded.stack import EmbeddedStack, Endpoints

__all__ = ["EmbeddedError", "EmbeddedStack", "Endpoints", "default_data_folder"]
