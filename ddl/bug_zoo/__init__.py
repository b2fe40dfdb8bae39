"""A zoo of training scripts: each holds one mistake, or none.

The scripts are written as a student or a practitioner would write them: data, ``model``, ``loss`` and
``optimizer`` at module level, ``step(x, y)``, ``train()`` that returns the losses of the epochs, and
``evaluate()`` that returns a number. Nothing in a script says what is wrong with it; that stands in
:mod:`.catalogue`, with the repair as a replacement of text, so that a test can show of each mistake that it
is one.

``BUGS`` and ``HEALTHY`` are what ``ddl.diagnose`` is made for. ``APART`` and ``HEALTHY_APART`` are others, on
which none of its thresholds was chosen: only they tell how it does on scripts that it has not seen.

``python -m ddl.bug_zoo`` prints what ``ddl.diagnose`` says of all of them.
"""

from ddl.bug_zoo.catalogue import APART, BUGS, HEALTHY, HEALTHY_APART, Bug, Healthy
from ddl.bug_zoo.scripts import Script, run, source

__all__ = ["APART", "BUGS", "HEALTHY", "HEALTHY_APART", "Bug", "Healthy", "Script", "run", "source"]
