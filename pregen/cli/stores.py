"""From the words of a command to the store that they mean."""

from pathlib import Path

from pregen.cli.account import Account
from pregen.credentials import open_publish_store
from pregen.errors import UsageError
from storage.stores import Store, parse_address


def url_of(address: str) -> str:
    """Return the address of a store as the store itself gives it, which no longer depends on where we stand."""
    try:
        place = parse_address(address)
    except ValueError:  # whoever opens it says so
        return address
    return place.absolute().as_uri() if isinstance(place, Path) else address


def read_address(store: str | None, config: Path | None, account: Account) -> tuple[str, str | None, str | None]:
    """Return a store's address, and endpoint and region of its S3 server where the configuration has them.

    Raises:
        UsageError: both are given, or neither.
        ConfigError: the configuration has mistakes.
    """
    if store is not None and config is None:
        return store, None, None
    if config is None:
        raise UsageError("say which store: its address, or --config CONFIG")
    if store is not None:
        raise UsageError(f"say which store: its address {store}, or --config {config}, and not both")
    from pregen.config import load_config  # noqa: PLC0415 - its libraries are for those who have a configuration

    loaded = load_config(config)
    account.store = url_of(loaded.store)
    return loaded.store, loaded.publish.s3.endpoint, loaded.publish.s3.region


def open_named_store(store: str | None, config: Path | None, account: Account) -> Store:
    """Open the store that a command names.

    Raises:
        UsageError: both are given, or neither, or the address cannot be one.
        ConfigError: the configuration has mistakes.
        PermissionError: there are no credentials for it.
    """
    address = read_address(store, config, account)
    try:
        opened = open_publish_store(*address)
    except ValueError as e:
        raise UsageError(str(e)) from None
    account.store = opened.url
    return opened
