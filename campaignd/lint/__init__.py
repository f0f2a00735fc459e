"""What a mailbox provider would object to in a campaign, said before it is sent.

`rules` is the list of rules with their sources. `sender`, `keys` and `content` judge the campaign
and the configuration, without a network; `recipients` composes it for everybody in a file;
`records` asks the DNS. Nothing here sends or stores anything.
"""

from campaignd.lint.campaign import check, offline
from campaignd.lint.rules import RULES, Finding, Level, Rule

__all__ = ["RULES", "Finding", "Level", "Rule", "check", "offline"]
