"""Licences that several corpora share."""

from sqa_data.corpus import Licence

CC_BY_NC_SA = Licence(
    "CC BY-NC-SA 4.0",
    "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    ask=True,
    note="no commercial use; what you derive from it carries the same licence",
)
CC_BY_SA = Licence("CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/", ask=False)
MIT = Licence("MIT", "https://opensource.org/license/mit", ask=False)
APACHE = Licence("Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", ask=False)
BLIZZARD = Licence(
    "custom (Blizzard Challenge)",
    "https://www.cstr.ed.ac.uk/projects/blizzard/data.html",
    ask=True,
    note="the audio of Blizzard systems may not be passed on; each user accepts the Blizzard terms",
)
MIRROR = "hf://urgent-challenge/urgent26_track2_sqa/"
