"""Types of the API documents, for what is asked of the server and what it answers.

Where several documents have a type of a name, the lifecycle document's is here.
"""

from ._api.egress.models import *  # noqa: F403
from ._api.execd.models import *  # noqa: F403
from ._api.lifecycle.models import *  # noqa: F403
