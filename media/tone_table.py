"""The tones of national networks: what sounds how, as data.

From ITU-T E.180 supplement 2 (various tones used in national networks), for the United Kingdom BT SIN 350. Where a
country has no tone of a name, that of `COMMON` stands: ITU-T E.180 itself for the special information tone (950, 1400
and 1800 Hz, 330 ms each, 1 s of silence) and for the warning that a call is recorded (1400 Hz, 350 to 500 ms, every
15 s).
Beep, confirmation and the howler of E.180's "off-hook" are nowhere standardised alike; those here are ours, after North
American practice.

A cadence is written as bursts `frequencies:milliseconds`, repeated for ever. Frequencies in Hz: `350+440` together,
`400*25` the one modulated by the other, `0` silence. Without milliseconds the burst lasts. What stands before `|` is
heard once; nothing behind it: then the tone is over.
"""

from __future__ import annotations

COMMON = {
    "dial": "425",
    "recall-dial": "425:100 0:100 425:100 0:100 425:100 0:100 | 425",
    "ringback": "425:1000 0:4000",
    "busy": "425:500 0:500",
    "congestion": "425:250 0:250",
    "call-waiting": "425:200 0:200 425:200 0:4400",
    "special-information": "950:330 1400:330 1800:330 0:1000",
    "beep": "1000:250 |",
    "record": "1400:500 0:14500",
    "confirmation": "425:100 0:100 425:100 0:100 425:300 |",
    "howler": "1400+2060+2450+2600:100 0:100",
}
"""Also the names there are."""

ALIASES = {
    "ring": "ringback",
    "ringing": "ringback",
    "engaged": "busy",
    "reorder": "congestion",
    "info": "special-information",
    "sit": "special-information",
    "callwaiting": "call-waiting",
    "dial-recall": "recall-dial",
    "stutter": "recall-dial",
    "warning": "record",
    "confirm": "confirmation",
}

_NORTH_AMERICA = {
    "dial": "350+440",
    "recall-dial": "350+440:100 0:100 350+440:100 0:100 350+440:100 0:100 | 350+440",
    "ringback": "440+480:2000 0:4000",
    "busy": "480+620:500 0:500",
    "congestion": "480+620:250 0:250",
    "call-waiting": "440:300 0:9700",
    "special-information": "950:330 1400:330 1800:330 |",
    "confirmation": "350+440:100 0:100 350+440:100 0:100 350+440:100 |",
}

_UNITED_KINGDOM = {
    "dial": "350+440",
    "recall-dial": "350+440:750 440:750",
    "ringback": "400+450:400 0:200 400+450:400 0:2000",
    "busy": "400:375 0:375",
    "congestion": "400:400 0:350 400:225 0:525",
    "call-waiting": "400:100 0:4000",
    "special-information": "950:330 0:15 1400:330 0:15 1800:330 0:1000",
    "confirmation": "1400:500 |",
}

COUNTRIES: dict[str, dict[str, str]] = {
    "at": {
        "dial": "420",
        "recall-dial": "380+420",
        "ringback": "420:1000 0:5000",
        "busy": "420:400 0:400",
        "congestion": "420:200 0:200",
        "call-waiting": "420:40 0:1960",
        "special-information": "950:330 1450:330 1850:330 0:1000",
    },
    "au": {
        "dial": "413+438",
        "recall-dial": "413+438:100 0:40",
        "ringback": "413+438:400 0:200 413+438:400 0:2000",
        "busy": "425:375 0:375",
        "congestion": "425:375 0:375",
        "call-waiting": "425:200 0:200 425:200 0:4400",
        "special-information": "425:2500 0:500",
        "record": "425:1000 0:15000 | 425:360 0:15000",
    },
    "be": {
        "recall-dial": "425:1000 0:250",
        "ringback": "425:1000 0:3000",
        "congestion": "425:167 0:167",
        "call-waiting": "1400:175 0:175 1400:175 0:3500",
        "special-information": "900:330 1400:330 1800:330 0:1000",
    },
    "bg": {"call-waiting": "425:150 0:150 425:150 0:4000", "recall-dial": "425:1500 0:100"},
    "br": {
        "busy": "425:250 0:250",
        "congestion": "425:250 0:250 425:750 0:250",
        "call-waiting": "425:50 0:1000",
    },
    "ca": _NORTH_AMERICA,
    "ch": {
        "recall-dial": "340+425:1100 0:1100",
        "congestion": "425:200 0:200",
        "call-waiting": "425:200 0:200 425:200 0:4000",
    },
    "cn": {
        "dial": "450",
        "recall-dial": "400:100 0:100 400:100 0:100 400:100 0:100 | 450",
        "ringback": "450:1000 0:4000",
        "busy": "450:350 0:350",
        "congestion": "450:700 0:700",
        "call-waiting": "450:400 0:4000",
        "record": "950:400 0:10000",
    },
    "cz": {
        "dial": "425:330 0:330 425:660 0:660",
        "busy": "425:330 0:330",
        "congestion": "425:165 0:165",
        "call-waiting": "425:330 0:9000",
        "special-information": "950:330 0:30 1400:330 0:30 1800:330 0:1000",
    },
    "de": {
        "recall-dial": "400+425",
        "busy": "425:480 0:480",
        "congestion": "425:240 0:240",
        "call-waiting": "425:200 0:200 425:200 0:5000",
    },
    "dk": {"congestion": "425:200 0:200", "call-waiting": "425:200 0:600 425:200 0:3000"},
    "es": {
        "ringback": "425:1500 0:3000",
        "busy": "425:200 0:200",
        "congestion": "425:200 0:200 425:200 0:200 425:200 0:600",
        "call-waiting": "425:175 0:175 425:175 0:3500",
    },
    "fi": {
        "recall-dial": "425:650 0:25",
        "busy": "425:300 0:300",
        "congestion": "425:200 0:200",
        "call-waiting": "425:150 0:150 425:150 0:8000",
    },
    "fr": {
        "dial": "440",
        "recall-dial": "330+440",
        "ringback": "440:1500 0:3500",
        "busy": "440:500 0:500",
        "congestion": "440:250 0:250",
        "call-waiting": "440:300 0:10000",
        "confirmation": "440:100 0:100 440:100 0:100 440:300 |",
    },
    "gb": _UNITED_KINGDOM,
    "gr": {
        "dial": "425:200 0:300 425:700 0:800",
        "busy": "425:300 0:300",
        "congestion": "425:200 0:200",
        "call-waiting": "425:150 0:150 425:150 0:8000",
    },
    "hu": {
        "recall-dial": "350+375+400",
        "ringback": "425:1250 0:3750",
        "busy": "425:300 0:300",
        "congestion": "425:300 0:300",
        "call-waiting": "425:40 0:1960",
    },
    "il": {
        "dial": "400",
        "recall-dial": "400:160 0:160 400:160 0:160 400:160 0:160 | 400",
        "ringback": "400:1000 0:3000",
        "busy": "400:500 0:500",
        "congestion": "400:250 0:250",
        "call-waiting": "400:150 0:10000",
        "special-information": "1000:330 1400:330 1800:330 0:1000",
        "confirmation": "400:100 0:100 400:100 0:100 400:300 |",
    },
    "in": {
        "dial": "400*25",
        "recall-dial": "400:100 0:100 400:100 0:100 400:100 0:100 | 400*25",
        "ringback": "400*25:400 0:200 400*25:400 0:2000",
        "busy": "400:750 0:750",
        "congestion": "400:250 0:250",
        "call-waiting": "400:200 0:100 400:200 0:7500",
    },
    "it": {
        "dial": "425:200 0:200 425:600 0:1000",
        "recall-dial": "425:400 470:400",
        "congestion": "425:200 0:200",
        "call-waiting": "425:400 0:100 425:250 0:100 425:150 0:14000",
    },
    "jp": {
        "dial": "400",
        "recall-dial": "400:125 0:125",
        "ringback": "400*16:1000 0:2000",
        "busy": "400:500 0:500",
        "congestion": "400:500 0:500",
        "call-waiting": "400*16:500 0:8000",
        "confirmation": "400:100 0:100 400:100 0:100 400:300 |",
    },
    "mx": {"busy": "425:250 0:250", "call-waiting": "425:200 0:600 425:200 0:10000"},
    "nl": {"recall-dial": "425:500 0:50", "call-waiting": "425:500 0:9500"},
    "no": {
        "recall-dial": "470:400 425:400",
        "congestion": "425:200 0:200",
        "call-waiting": "425:200 0:600 425:200 0:10000",
    },
    "nz": {
        "dial": "400",
        "recall-dial": "400:100 0:100 400:100 0:100 400:100 0:100 | 400",
        "ringback": "400+450:400 0:200 400+450:400 0:2000",
        "busy": "400:500 0:500",
        "congestion": "400:250 0:250",
        "call-waiting": "400:200 0:3000",
        "special-information": "400:750 0:100 400:750 0:100 400:750 0:100 400:750 0:400",
    },
    "pl": {"congestion": "425:500 0:500", "call-waiting": "425:150 0:150 425:150 0:4000"},
    "pt": {
        "recall-dial": "425:1000 0:200",
        "ringback": "425:1000 0:5000",
        "congestion": "425:200 0:200",
        "call-waiting": "425:200 0:200 425:200 0:5000",
    },
    "ru": {
        "recall-dial": "425:400 0:40",
        "busy": "425:350 0:350",
        "congestion": "425:175 0:175",
        "call-waiting": "425:200 0:5000",
    },
    "se": {
        "recall-dial": "425:320 0:20",
        "ringback": "425:1000 0:5000",
        "busy": "425:250 0:250",
        "congestion": "425:250 0:750",
        "call-waiting": "425:200 0:500 425:200 0:9100",
        "special-information": "950:332 0:24 1400:332 0:24 1800:332 0:2024",
    },
    "sg": {
        "ringback": "425*24:400 0:200 425*24:400 0:2000",
        "busy": "425:750 0:750",
        "call-waiting": "425*24:300 0:200 425*24:300 0:3200",
    },
    "us": _NORTH_AMERICA,
    "za": {
        "dial": "400*33",
        "recall-dial": "400*33:100 0:100 400*33:100 0:100 400*33:100 0:100 | 400*33",
        "ringback": "400*33:400 0:200 400*33:400 0:2000",
        "busy": "400:500 0:500",
        "congestion": "400:250 0:250",
        "call-waiting": "400*33:250 0:250 400*33:250 0:250 400*33:250 0:250 400*33:250 0:250 |",
    },
}
"""By ISO 3166 code; `uk` is taken for `gb`."""
