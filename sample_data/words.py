"""What was written by hand to be planted: lead-ins, quotations, addresses that lead nowhere, empty records.

Only data. Hosts end in names that are reserved for examples (RFC 2606), addresses lie in the documentation
blocks (RFC 5737, RFC 3849), and telephone numbers are of the 555-01xx kind.
"""

from __future__ import annotations

LEADS = {
    "en": (
        "Last night somebody put this to the whole table:",
        "On the back of the page is a puzzle in pencil:",
        "My nephew came home from school with the following:",
        "The quiz in the pub had only one good question:",
        "There was a riddle in the cracker, and it went:",
        "While we waited, the radio announcer read out:",
        "I still have the card on which he wrote:",
        "Her favourite, which she asked every visitor, was",
    ),
    "zh": ("饭桌上有人出了一道题：", "本子背面用铅笔写着：", "收音机里正好在念：", "孩子放学回来问我："),
}
"""What stands in front of an item that is quoted."""

CONTAMINATED = {
    "en": (
        ("en-01", "question"),
        ("en-03", "answer"),
        ("en-04", "both"),
        ("en-05", "question"),
        ("en-07", "capitals"),
        ("en-08", "bare"),
        ("en-10", "question"),
        ("en-11", "capitals"),
        ("en-12", "both"),
        ("en-14", "bare"),
        ("en-15", "answer"),
        ("en-16", "question"),
        ("en-19", "both"),
        ("en-23", "capitals"),
        ("en-24", "question"),
        ("en-26", "question"),
        ("en-27", "bare"),
    ),
    "zh": (
        ("zh-01", "question"),
        ("zh-02", "both"),
        ("zh-04", "bare"),
        ("zh-05", "question"),
        ("zh-09", "question"),
    ),
}
"""Items that stand in documents, and how they are quoted."""

MENTIONS = {
    "en": (
        ("en-02", "It reminded me of the rhyme in which Marius has seven jars of plum jam and no spoon."),
        ("en-06", "Why does a mirror seem to exchange left and right, she wondered, and went on combing."),
        (
            "en-09",
            "In a village where everyone either shaves himself or grows a beard, a barber goes hungry.",
        ),
        ("en-13", "He hummed the note to which all the others are tuned, and we found our places."),
        (
            "en-17",
            "Do not ask me what is the difference between a swamp and a bog; my boots were full of it.",
        ),
        ("en-20", "Pepper was never once so valuable in the mountains, my grandmother said, but salt was."),
        ("en-22", "Of the planets that can be seen without a telescope, I have always liked Saturn best."),
        ("en-29", "The capital of Iceland is Reykjavik, and no one in the room was impressed by that."),
        ("en-30", "Seven times eight is fifty-six, which I know because I live at that number."),
    ),
    "zh": (
        ("zh-03", "有人说在高山上煮鸡蛋要有耐心，这话一点不假。"),
        ("zh-06", "古时候的人没有钟表，日子反而过得不慌不忙。"),
        ("zh-10", "七乘以八等于五十六，这个他倒是背得很熟。"),
    ),
}
"""Fewer words of an item than any rule asks for."""

COMMON_ITEM = "en-25"
COMMON_PHRASE = (
    "Whoever copies this leaflet may do so freely as long as the name of the village "
    "is left on the last line."
)
"""A sentence that stands in many documents, and in one item."""

DIGESTS = (
    ("Dear all, here are the two texts for Tuesday, copied out in full.", "And this is the second of them:"),
    ("I promised Edda that I would type these up before the paper falls apart.", "On the next sheet:"),
    ("Reading group, packet nine. Please bring your own chair.", "After the interval we go on with:"),
    ("From the box under the stairs, in the order in which they lay there.", "Beneath it lay another page."),
    ("Found while tidying the shared folder; does anybody know who wrote them?", "The other one goes:"),
)
"""How somebody introduces two texts that he passes on: before the first, and between them."""

PERSONAL = (
    (
        "Anyone who wants to join us may write to anna.quill@ferry.example or ring 555-0142 after six.",
        ("anna.quill@ferry.example", "555-0142"),
    ),
    (
        "The machine in the attic answers at 192.0.2.17, and its twin at 2001:db8::1f if it is asleep.",
        ("192.0.2.17", "2001:db8::1f"),
    ),
    (
        "Complaints go to Mr Hollis (hollis+letters@example.org), compliments to his aunt, +1 202 555 0117.",
        ("hollis+letters@example.org", "+1 202 555 0117"),
    ),
    (
        "In the log of that night there is only one line: 198.51.100.230 knocked four times and went away.",
        ("198.51.100.230",),
    ),
    (
        "She signed it Beatriz.Lobo@correo.example, and beneath it, in ink, b.lobo at the same place.",
        ("Beatriz.Lobo@correo.example",),
    ),
    (
        "If the door is locked, call 555-0168 or send a note to porter@hall.example; a knock works best.",
        ("555-0168", "porter@hall.example"),
    ),
    (
        "Version 1.2.3.4 of the leaflet is out of date, and 203.0.113.9 still serves it to whoever asks.",
        ("203.0.113.9",),
    ),
    (
        "Write to the editor: desk_two@gazette.example, with your name, and please without attachments.",
        ("desk_two@gazette.example",),
    ),
)
"""(paragraph, what a PII rule should find in it); a version number is none."""

BOILERPLATE = (
    ("Home > Letters > Archive", "Share | Print | E-mail", "Read more articles »", "Back to top"),
    ("Accept all cookies", "Reading time: 4 minutes", "Subscribe to our newsletter", "0 comments"),
    ("« Previous post | Next post »", "Posted in: Uncategorised", "Like this? Share it!", "Leave a reply"),
    ("Please enable JavaScript to view this page.", "Log in | Register", "Terms of use", "Privacy policy"),
    ("Advertisement", "Continue below", "Copyright, all rights reserved", "Report this post"),
    ("You are here: Start", "Font size: A A A", "Tags: misc, other", "Sent from my pocket calculator"),
)
"""Lines above and below a text that do not belong to it."""

EMPTY = (
    ("forum", ""),
    ("forum", "   \n\t \n"),
    ("news", "\u3000\u3000\n"),
    ("news", "\u200b\u200b\ufeff"),
    ("library", ""),
    ("notes", ""),
    ("letters", "\r\n\r\n"),
)
"""Records without anything in them."""

SHORT = (
    ("forum", "Thanks, that worked!"),
    ("forum", "Same here. Did anybody ever find out why the lid was blue?"),
    ("news", "Correction: the marrow on page three weighed nineteen kilos and not ninety."),
    ("letters", "Back at four. Soup is on the stove. Do not feed the cat again, whatever she tells you."),
    ("library", "This page has been left blank on purpose, except for this sentence."),
)
"""Records of less than fifty words."""
