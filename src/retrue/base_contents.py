"""What the base image keeps of the Debian packages, and the few files written instead."""

USER_ID = 10001
"""The image's user, when whoever starts it does not name another."""

# An allow-list, so that apt's configuration (with the machine's mirrors) and whatever a later
# package brings stay out. fnmatch: `*` also crosses folders.
KEPT = (
    "lib64/*",
    "usr/lib64/*",
    *(
        f"*lib/*-linux-gnu*/{library}.so*"
        for library in (
            "ld-linux-*",
            "libbz2",
            "libc",
            "libcrypt",
            "libcrypto",
            "libdl",
            "libexpat",
            "libffi",
            "libgcc_s",
            "libgomp",
            "liblzma",
            "libm",
            "libnss_dns",
            "libnss_files",
            "libpthread",
            "libresolv",
            "librt",
            "libsqlite3",
            "libssl",
            "libstdc++",
            "libutil",
            "libuuid",
            "libz",
        )
    ),
    "lib/ld-linux-*",
    "usr/bin/python3.11",
    "usr/lib/python3.11/*",
    "usr/share/doc/*/copyright",
)
DROPPED = (
    "*/gconv/*",
    *(
        f"usr/lib/python3.11/{part}"
        for part in (
            "test/*",
            "pydoc_data/*",
            "unittest/*",
            "venv/*",
            "wsgiref/*",
            "xmlrpc/*",
            "turtle.py",
            "ensurepip/*",
            "idlelib/*",
            "lib2to3/*",
            "tkinter/*",
            "dbm/*",
            "curses/*",
            "lib-dynload/_dbm.*",
            "lib-dynload/_curses*",
            "lib-dynload/nis.*",
            "lib-dynload/readline.*",
            "lib-dynload/_test*",
            "lib-dynload/xx*",
        )
    ),
)
WRITTEN = {
    "etc/passwd": f"root:x:0:0:root:/:/nologin\nretrue:x:{USER_ID}:{USER_ID}:retrue:/:/nologin\n",
    "etc/group": f"root:x:0:\nretrue:x:{USER_ID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
    'PRETTY_NAME="Debian GNU/Linux 12 (bookworm), trimmed for Retrue"\n',
}
