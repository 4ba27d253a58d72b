"""What a run does after its commit: it cleans, where the configuration says what is to be kept.

The generation is published by then, so nothing that goes wrong here is a failure of the run.
"""

from pregen.config import Config
from pregen.errors import Finding, PregenError
from pregen.gates.author import Author
from pregen.interruption import Terminated, interruptible
from pregen.progress import Progress
from pregen.upkeep.cleaning import Cleaned, CleaningTerms, clean
from pregen.upkeep.retention import RetentionRules
from storage.errors import StorageError


def clean_as_configured(config: Config, author: Author | None, progress: Progress) -> Cleaned | Finding | None:
    """Remove what a configuration does not keep.

    Returns:
        What was done; a warning where it failed; None where nothing is configured.
    """
    keep = config.publish.keep
    if not keep.is_given:
        return None
    try:
        with interruptible():  # who stops a run whose commit is there wants no more than that
            return clean(config.open_store(), CleaningTerms(rules=RetentionRules.of(keep), author=author), progress)
    except (PregenError, StorageError, OSError) as e:
        why = str(e)
    except (KeyboardInterrupt, Terminated):
        why = "a signal has stopped it"
    text = (
        f"the run is published, but cleaning up after it has failed: {why}; the next run, or pregen gc, goes on with "
        "it; on S3, s3:DeleteObject and s3:ListBucket are needed"
    )
    return Finding("gc.failed", "warning", text)
