"""Whom an organization of the US, which also allows GB, may call: lists written down by hand, for a proof's judge.

They share nothing with the product, nor with the library of numbering plans that the product asks.
"""

import re

OWN_NUMBER = "+12025550101"
REFUSED_PREFIX = "+1907"
"""What the organization of the proof does not dial, by a rule of its own."""


def _areas(text: str) -> list[str]:
    return re.findall(r"[0-9]{3}", text)


US_AREAS = _areas(
    """
    201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 224 225 228 229 231 234 239 240 248 251
    252 253 254 256 260 262 267 269 270 276 281 301 302 303 304 305 307 308 309 310 312 313 314 315 316 317 318
    319 320 321 323 330 334 336 337 352 360 361 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419
    423 425 432 434 435 440 443 469 478 479 480 501 502 503 504 505 507 508 509 510 512 513 515 516 517 518 520
    530 540 541 551 559 561 562 563 567 570 571 573 574 580 585 586 601 602 603 605 606 607 608 609 610 612 614
    615 616 617 618 619 620 623 626 630 631 636 641 646 650 651 660 661 662 678 682 701 702 703 704 706 707 708
    712 713 714 715 716 717 718 719 720 724 727 731 732 734 740 754 757 760 763 765 770 772 773 774 775 781 785
    786 801 802 803 804 805 806 808 810 812 813 814 815 816 817 818 828 830 831 832 843 845 847 848 850 856 857
    858 859 860 862 863 864 865 870 901 903 904 906 908 909 910 912 913 914 915 916 917 918 919 920 925 928 931
    936 937 940 941 947 949 951 952 954 956 970 971 972 973 978 979 980 985 989
    """
)
CANADA = _areas(
    """
    204 226 236 249 250 257 263 289 306 343 354 365 367 368 382 387 403 416 418 428 431 437 438 450 460 468 474
    506 514 519 537 548 568 579 581 584 587 604 613 639 647 672 683 705 709 742 753 778 780 782 807 819 825 867
    873 879 902 905 942
    """
)
ISLANDS = _areas(
    """
    242 246 264 268 284 345 441 473 649 658 664 721 758 767 784 809 829 849 868 869 876
    """
)
TERRITORIES = _areas(
    """
    340 670 671 684 787 939
    """
)

_US = re.compile(r"\+1([2-9][0-9]{2})([2-9][0-9]{2})([0-9]{4})")
_GB = re.compile(
    r"\+44(?:1(?!481|534|624)|2|3|7(?!0|6|4576|509|524|700[378]|781|797|829|839|911[17]|924|937)|80)[0-9]{6,9}"
)  # the exceptions: islands that are no part of it, pagers, personal numbers; 84, 87, 9: dear


def may_reach(to: str) -> bool:
    """Whether the carrier of an organization of the US, which also allows GB, may be asked to dial this."""
    american = _US.fullmatch(to)
    if american is None:
        return _GB.fullmatch(to) is not None
    area, exchange, line = american.groups()
    dear = exchange == "976" or exchange + line == "5551212"
    return area in US_AREAS and not dear and to != OWN_NUMBER and not to.startswith(REFUSED_PREFIX)
