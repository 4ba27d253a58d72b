"""From the words of a command to the store that they mean."""

from pathlib import Path
from typing import TYPE_CHECKING

from pregen.cli.account import Account
from pregen.credentials import aws_credentials
from pregen.errors import UsageError
from storage.stores import Store, StoreAddress, StoreOptions, open_store

if TYPE_CHECKING:
    from pregen.config import Config


def read_address(store: str | None, config: Path | None, account: Account) -> StoreAddress:
    """Return the address of the store that a command names, or of the one of its configuration.

    Raises:
        UsageError: both are given, or neither, or the address cannot be one.
        ConfigError: the configuration has mistakes.
    """
    if store is not None and config is None:
        try:
            return StoreAddress(store, StoreOptions(credentials=aws_credentials))
        except ValueError as e:
            raise UsageError(str(e)) from None
    if config is None:
        raise UsageError("say which store: its address, or --config CONFIG")
    if store is not None:
        raise UsageError(f"say which store: its address {store}, or --config {config}, and not both")
    from pregen.config import load_config  # noqa: PLC0415 - its libraries are for those who have a configuration

    address = load_config(config).store
    account.store = address.url
    return address


def open_target(word: str, account: Account) -> "tuple[Store, Config | None]":
    """Open the store that a word means, which names a configuration or is the address of a store; return both.

    A file is a configuration, and so is what would be one by its name.

    Raises:
        UsageError: the address or the endpoint cannot be one.
        ConfigError: the configuration has mistakes, or is not there.
        PermissionError: there are no credentials for the store.
    """
    path = Path(word)
    if not path.is_file() and path.suffix != ".toml":
        return open_named_store(word, None, account), None
    from pregen.config import load_config  # noqa: PLC0415 - as above

    config = load_config(path)
    account.configuration, account.store = path, config.store.url
    return config.open_store(), config


def open_named_store(store: str | None, config: Path | None, account: Account) -> Store:
    """Open the store that a command names.

    Raises:
        UsageError: both are given, or neither, or the address or the endpoint cannot be one.
        ConfigError: the configuration has mistakes.
        PermissionError: there are no credentials for it.
    """
    address = read_address(store, config, account)
    account.store = address.url
    try:
        return open_store(address)
    except ValueError as e:
        raise UsageError(str(e)) from None
