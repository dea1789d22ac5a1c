"""The severities of all rules, written down from section 5 of ordering-rules.md and decisions 29 to 33 alone.

The catalogue is held against this table, so that a severity cannot change by a slip of the pen.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# By what a breach means in `strict` and in `lenient`.
_IN_STRICT_AND_LENIENT: Final = {
    "error error": """
        R001 R011 R013 R014 R015 R022 R029 R030 R031 R034 R036 R038 R041 R048 R060 R063 R066 R071 R072 R073 R079 R080
        R082 R083 R085 R091 R092 R093 R094 R095 R097 R098 R099 R100 R102 R103 R115 R125 R127 R128 R140 R141 R170 R190
        R192 R193 R195 R200 R205
    """,
    "error warning": """
        R002 R005 R007 R012 R021 R023 R032 R033 R035 R040 R042 R043 R044 R045 R046 R050 R051 R052 R053 R057 R059 R061
        R062 R064 R067 R068 R069 R070 R074 R075 R076 R077 R078 R081 R086 R088 R089 R090 R096 R101 R104 R106 R110 R112
        R114 R116 R118 R126 R129 R131 R132 R133 R134 R142 R143 R145 R147 R148 R149 R150 R151 R152 R154 R155 R156 R157
        R158 R160 R162 R171 R172 R176 R180 R181 R182 R184 R191 R194 R201 R203 R204 R212 R213
    """,
    "error off": "R003 R109 R183",
    "warning warning": "R037 R207",
    "warning off": """
        R004 R008 R009 R010 R016 R018 R039 R047 R055 R065 R084 R087 R105 R107 R108 R111 R113 R119 R120 R130 R144 R146
        R159 R161 R163 R175 R185 R202 R206 R210 R211
    """,
    "off off": "R006 R017 R049 R054 R056 R117 R173 R174",
}
# Where a profile departs from `strict`.
_ELSEWHERE: Final = """
    R006 openai error
    R006 open-responses error
    R006 azure error
    R016 open-responses error
    R017 openai warning
    R023 open-responses warning
    R037 azure off
    R049 openai error
    R054 open-responses error
    R075 openai warning
    R078 openai warning
    R089 openai warning
    R109 open-responses off
    R117 openai warning
    R171 azure off
    R173 azure error
    R174 azure error
    R207 open-responses error
"""


def _expected() -> dict[str, dict[str, str]]:
    expected = {}
    for severities, ids in _IN_STRICT_AND_LENIENT.items():
        strict, lenient = severities.split()
        for rule in ids.split():
            expected[rule] = dict.fromkeys(("strict", "openai", "open-responses", "azure"), strict) | {
                "lenient": lenient
            }
    for line in _ELSEWHERE.split("\n"):
        if line.strip():
            rule, profile, severity = line.split()
            expected[rule][profile] = severity
    return expected


EXPECTED: Final[Mapping[str, Mapping[str, str]]] = _expected()
"""What a breach means: rule, then profile."""
