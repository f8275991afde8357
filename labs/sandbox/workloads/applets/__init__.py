"""Network tools in Python, for machines that lack them: every pod has curl, wget, nc, ping, nslookup, dig and ip.

They come last on a command's PATH, so the machine's own are preferred. Each does what its users type most, with the
real one's exit statuses and words; for the rest it says so. They start without site-packages and import little.
`main` starts one by name; `options`, `lookup` (DNS) and `web` (HTTP) are what several of them share.
"""

NAMES = ("curl", "wget", "nc", "netcat", "ping", "ping6", "nslookup", "dig", "host", "ip")
