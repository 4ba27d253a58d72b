"""Until when the answers of a generation hold, overlays among them: what a rollback publishes is not signed anew."""

from collections.abc import Mapping

from storage.freshness import freshness_of
from storage.manifest import Manifest
from storage.tables import Tables


def answers_end(manifest: Manifest, tables: Mapping[str, Tables]) -> int:
    """Return the last second in which all answers hold, but for those that end with their certificates.

    Args:
        manifest: of the generation.
        tables: that it names, by their names.
    """
    return min([shards_end(manifest, tables), *(overlay.next_update for overlay in manifest.overlays)])


def shards_end(manifest: Manifest, tables: Mapping[str, Tables]) -> int:
    """Return the same of the shards alone."""
    fresh = freshness_of(manifest, tables)
    return fresh.fresh_until if fresh.is_over_with_certificates else fresh.holds_until
