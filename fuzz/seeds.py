#!/usr/bin/env python3
"""Gives each fuzz target inputs to begin with: fuzz/seeds.py DIRECTORY writes DIRECTORY/TARGET/seed-*.

Recorded bytes come from tests/data and board/tests/data, where their public sources are named; files that the project
ships are taken as they are; everything else is written down here, from the documents of each protocol.
"""
import hashlib
import json
import pathlib
import re
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = pathlib.Path(sys.argv[1])


def seed(target, data):
    data = data.encode() if isinstance(data, str) else bytes(data)
    place = OUT / target
    place.mkdir(parents=True, exist_ok=True)
    (place / ("seed-" + hashlib.sha256(data).hexdigest()[:16])).write_bytes(data)


def lines(path):
    return [json.loads(line) for line in (ROOT / path).read_text().splitlines() if line.strip()]


def toml_of(document):
    """Examples in a document."""
    return re.findall(r"```toml\n(.*?)```", (ROOT / document).read_text(), re.DOTALL)


# Stratum v1: recorded lines; whole conversations behind the bytes that choose stage and size of packets. A session knows an
# answer by the id of its own request, for which `@` stands.
talks = {}
for entry in lines("tests/data/stratum/sessions.jsonl"):
    if entry["dir"] == "s2c":
        seed("stratum_line", entry["line"])
        talks.setdefault(entry["session"], []).append(entry["line"])
for talk in talks.values():
    text = "\n".join(re.sub(r'"id":\s*\d+', '"id":@', line) for line in talk[:12]) + "\n"
    for stage in (0, 3):
        seed("stratum_session", bytes([stage, 64]) + text[:4000].encode())
for line in (
    '{"id":null,"method":"mining.set_difficulty","params":[512]}',
    '{"id":null,"method":"mining.set_extranonce","params":["08000002",4]}',
    '{"id":null,"method":"mining.set_version_mask","params":["1fffe000"]}',
    '{"id":1,"method":"client.reconnect","params":["eu.example.com",3333,5]}',
    '{"id":@,"result":null,"error":[21,"job not found",null]}',
    '{"id":7,"method":"client.get_version","params":[]}',
    '{"id":8,"method":"mining.ping","params":[]}',
    '{"id":null,"method":"client.show_message","params":["hello"]}',
):
    seed("stratum_line", line.replace("@", "1"))
    seed("stratum_session", bytes([3, 200]) + line.encode() + b"\n")

# Stratum v2: kind, length, payload, as the target makes frames of them; channel 1.
HASH = bytes(range(32))
coinbase = bytes.fromhex("01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2d02fa0100")
suffix = bytes.fromhex("ffffffff0100f2052a01000000160014ca81d03f2707c355502622c7db77fdf79546926e00000000")


def part(kind, payload):
    return bytes([kind, len(payload)]) + payload


def extended_job(job, ntime):
    when = b"\0" if ntime is None else b"\1" + struct.pack("<I", ntime)
    front = struct.pack("<II", 1, job) + when + struct.pack("<I", 0x20000000) + b"\1"
    path = b"\1" + HASH
    return front + path + struct.pack("<H", len(coinbase)) + coinbase + struct.pack("<H", len(suffix)) + suffix


def standard_job(job, ntime):
    when = b"\0" if ntime is None else b"\1" + struct.pack("<I", ntime)
    return struct.pack("<II", 1, job) + when + struct.pack("<I", 0x20000000) + HASH


previous = struct.pack("<II", 1, 7) + HASH + struct.pack("<II", 0x66000000, 0x1D00FFFF)
for mode, job in ((0, extended_job), (4, standard_job)):
    kind = 0x1F if mode == 0 else 0x15
    start = part(kind, job(7, None)) + part(0x20, previous)
    for rest in (
        part(kind, job(8, 0x66000001)),
        part(0x21, struct.pack("<I", 1) + b"\xff" * 30 + b"\0\0"),
        part(0x19, struct.pack("<I", 1) + b"\4\1\2\3\4"),
        part(0x25, struct.pack("<I", 9) + struct.pack("<HI", 1, 1)),
        part(0x1C, struct.pack("<IIIQ", 1, 1, 1, 100)),
        part(0x1D, struct.pack("<II", 1, 1) + b"\x0bstale-share"),
        part(0x17, struct.pack("<I", 1) + b"\x14max-target-too-small"),
        part(0x18, struct.pack("<I", 1) + b"\4done"),
        part(0x04, b"\x0eeu.example.com" + struct.pack("<H", 34254)),
    ):
        seed("sv2_frame", bytes([mode | 2, 255]) + start + rest)
seed("sv2_frame", bytes([0, 9]) + part(0x02, struct.pack("<I", 0) + b"\x18unsupported-feature-flag"))
seed("sv2_frame", bytes([1, 9]) + part(0x12, struct.pack("<I", 1) + b"\x17max-target-out-of-range"))

# Addresses, of pools and for payment.
for url in (
    "stratum+tcp://pool.example.com:3333",
    "pool.example.com:3333",
    "stratum+ssl://[2001:db8::7]:443",
    "stratum+tls://192.0.2.1:443",
    "stratum2+tcp://pool.example.com:34254/9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
    "9auqWEzQDVyd2oe1JVGFLMLHZtCo2FFqZwtKA5gd9xbuEu7PH72",
    "stratum+tcp://abcdefghijklmnop.onion:3333",
):
    seed("pool_url", url)
# From BIP 173, BIP 350 and the genesis block.
for address in (
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
    "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
    "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
):
    seed("payout_address", address)

# The owner's files.
for document in ("README.md", "docs/configuration.md", "docs/pools.md", "docs/solo.md"):
    for text in toml_of(document):
        seed("config", text)
        seed("config_import", text)
        seed("config_question", json.dumps({"version": 1, "ask": {"write": {"text": text, "was": ""}}}))
        seed("broken_config", re.sub(r'(password|sha256) = "[^"]*"', r'\1 = "S3CR3T"', text))
for text in (
    '[[pool]]\nurl = "stratum+tcp://me:S3CR3T@a:1/S3CR3T"\npasword = "S3CR3T"\nproxy = \'socks5://p:S3CR3T@c:1\'\n',
    '# password = "S3CR3T\nS3CR3T goes on"\n[[token]]\nsha256 = S3CR3T\nname = "a", sha256 = "S3CR3T"\n',
    '[[alert_target]]\nurl = "https://h.example/S3CR3T"\n[[pool]\nproxy_password = """\nS3CR3T"""\n',
):
    seed("broken_config", text)
# How long the password is, the password, and a pool's words.
for password, words in (
    ("geheim", '"geheim" is wrong'), ("geheim", "the password is gehe"), ("abc", "no abc in abcd, abc"), ("x", "x is extra"),
    ("abab", "ababab"), ("7", "'7' is not the password of 17"),
):
    seed("pool_words", bytes([len(password)]) + (password + words).encode())
# How long two secrets are, the secrets, and a part of a support archive.
for one, other, part in (
    ("say \"please\"", "please", '{"a": "no say \\"please\\" here", "b": "please", "c": "say "please""}'),
    ("abab", "/services/T0", "POST /services/T0/B0 ababab"),
    ("geheim\t1", "1234", 'geheim\\t1 12341234'),
):
    seed("support_secrets", bytes([len(one), len(other)]) + (one + other + part).encode())
# Whole configurations with a secret in each place that has one.
for text in toml_of("docs/configuration.md") + [
    '# url = "stratum+tcp://pool.example:3333"\n[[pool]] # password = "S3CR3T"\nurl = "a:1"\nuser = "a=b#c"\n'
    "password = \"S3CR3T\" # proxy_password='S3CR3T'\n#password=\"S3CR3T\"\n# url = \"https://hooks.example/S3CR3T\"\n",
    '[[alert_target]]\nname = "a"\nurl = "https://h.example/S3CR3T"\npassword = \'S3CR3T\'\n[[token]]\nsha256 = "S3CR3T"\n',
    '[[pool]]\npasword = "S3CR3T"\nurl = "stratum+tcp://me:S3CR3T@a:1"\nproxy = "socks5://me:S3CR3T@p:1"\n',
    '[pool]\npassword = "S3CR3T"\n', 'pool = [{password = "S3CR3T"}]\n', '[[pool]]\npassword = """\nS3CR3T"""\n',
]:
    seed("shown_config", re.sub(r'(password|sha256) = "[^"]*"', r'\1 = "S3CR3T"', text))
for ask in ("stamp", "read", {"lines": {"after": 3}}):
    seed("config_question", json.dumps({"version": 1, "ask": ask}))
seed("config_import", json.dumps({
    "pools": [{"url": "stratum+tcp://pool.example:3333#xnsub", "user": "a.w", "pass": "x"},
              {"quota": "2;stratum+tcp://other.example:443", "user": "b", "pass": "y"}],
    "api-listen": True, "api-port": "4028", "api-allow": "W:192.0.2.0/24,R:0/0",
    "bitmain-fan-ctrl": True, "bitmain-fan-pwm": "70", "bitmain-freq": "525"}))
seed("config_import", '[format]\nversion = "1.2"\n[[group]]\nname = "a"\nquota = 1\n[[group.pool]]\n'
     'url = "stratum+tcp://pool.example:3333"\nuser = "a.w"\n[temp_control]\nmode = "auto"\ntarget_temp = 60.0\n'
     '[fan_control]\nspeed = 70\n[hash_chain_global]\nfrequency = 650.0\n')
for path in sorted((ROOT / "board/boards").glob("*.toml")) + [ROOT / "tests/data/boards/bench.toml"]:
    seed("board_file", path.read_text())
for text in toml_of("docs/boards.md"):
    seed("board_file", text)
for text in toml_of("docs/emulator.md"):
    seed("emulated_scenario", text)

# Own node.
for path in sorted((ROOT / "tests/data/gbt").glob("*.json")):
    template = path.read_bytes()
    seed("block_template", template)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    body = template[:600]
    seed("http_response", bytes([40]) + head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    seed("http_response", bytes([7]) + head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n")
seed("http_response", bytes([255]) + b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\n\r\n")
seed("coinbase_height", coinbase)
seed("coinbase_height", bytes.fromhex("010000000001") + coinbase[4:])

# Chips, supplies and memories: recorded frames.
for vector in json.loads((ROOT / "tests/data/chain/bm13xx.json").read_text())["vectors"]:
    frame = vector.get("frame") or vector.get("frame_no_preamble")
    if frame is None:
        continue
    if vector["kind"] == "response_crc5":
        seed("chip_frames", bytes.fromhex(frame if frame.startswith("aa55") else "aa55" + frame))
    else:
        seed("emulated_chain", bytes.fromhex(frame if frame.startswith("55aa") else "55aa" + frame))
for vector in json.loads((ROOT / "board/tests/data/vectors.json").read_text())["vectors"]:
    if vector["kind"] == "psu_frame":
        seed("psu_reply", bytes.fromhex(vector["frame"]))
    if "raw_hex" in vector:
        seed("eeprom", bytes.fromhex(vector["raw_hex"]).ljust(256, b"\xff"))
for line in (
    'inject { fault = "fan-stop", fan = "front left" }', 'inject for 30 { fault = "supply-nak" }',
    'inject { fault = "hot-room", celsius = 10 }', 'inject { fault = "supply-trip" }', "clear 1", "clear all",
    "reset 0 hold", "reset 0 release", "power on", "power off", "enable on", "fan 40 front left", "status", "help",
):
    seed("emulator_control", line)

# What the keeper is asked.
for message in (
    {"alive": "chain"}, {"alive": "pool"},
    {"request": {"id": 1, "request": {"set_power": {"on": True}}}},
    {"request": {"id": 2, "request": {"set_voltage": {"voltage": 13800}}}},
    {"request": {"id": 3, "request": {"set_fan_mode": {"mode": {"mode": "fixed", "duty": 40.0}}}}},
):
    body = json.dumps(message).encode()
    seed("link_message", struct.pack("<BBH", 1, 0, len(body)) + body)

# What the network asks and answers.
for head in (
    "GET /api/v1/status HTTP/1.1\r\nHost: miner.local\r\nAuthorization: Bearer abc\r\nAccept: */*\r\n\r\n",
    "POST /api/v1/pools HTTP/1.1\r\nHost: 192.0.2.7:8080\r\nOrigin: http://192.0.2.7:8080\r\nContent-Type: "
    "application/json\r\nContent-Length: 2\r\n\r\n{}",
    "GET /live HTTP/1.1\r\nHost: miner\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
):
    seed("http_head", head)
for request in (
    '{"command":"summary+pools"}', '{"command":"switchpool","parameter":"1"}', '{"command":"asc","parameter":0}',
    '{"command":"addpool","parameter":"stratum+tcp://a:1,b,c"}', "summary", "switchpool|1", "version\n",
):
    seed("rpc_request", request)
mask = b"\1\2\3\4"
masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(b"Hello, miner"))
for first in (0x81, 0x01, 0x80, 0x82, 0x88, 0x89, 0x8A):
    seed("websocket_frame", bytes([first, 0x80 | len(masked)]) + mask + masked)
seed("websocket_frame", b"\x81\xfe\0\x80" + mask + b"a" * 128)
for answer in ("20020000", "20020005", "40020001", "d000", "9003000100", "3006000161626364"):
    seed("mqtt_answer", bytes.fromhex(answer))
name = b"\5_http\4_tcp\5local\0"
question = struct.pack(">HHHHHH", 0, 0, 1, 0, 0, 0) + name + struct.pack(">HH", 12, 1)
pointer = b"\5miner\xc0\x0c"
record = b"\xc0\x0c" + struct.pack(">HHIH", 12, 1, 120, len(pointer)) + pointer
seed("mdns", question)
seed("mdns", struct.pack(">HHHHHH", 0, 0x8400, 1, 1, 0, 0) + question[12:] + record)
# RFC 1928 and RFC 1929: method, password, and bound address; an answer to CONNECT.
for answer in ("0500", "050005000001c000020704d2", "05020100050000030161" "04d2", "05ff", "0502010005010001000000000000"):
    seed("proxy_reply", bytes.fromhex(answer))
seed("proxy_reply", "HTTP/1.1 200 Connection established\r\nProxy-agent: x\r\n\r\n")
seed("proxy_reply", "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")


# Flight record: a ring of four slots behind the magic that the target adds; format strings, then frames with their checks.
def flight_check(data):
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
            crc &= 0xFFFF
    return crc


table = b"chain {=u8}: nonce {=u32:08x} of {=istr}\nclock {=f32} MHz, {=u64}\nchip {=u8:#04x}, {=bool}\nshare"
ring = struct.pack("<II", 4, len(table)) + table
ring += bytes(4096 - 8 - len(ring))
for number, frame in enumerate((
    struct.pack("<HQBIH", 0, 1_764_318_600_000_000, 2, 0xBEEF, 3),
    struct.pack("<HQfI", 1, 1, 525.5, 7),
    struct.pack("<HQBB", 2, 2, 4, 1),
    struct.pack("<HQ", 99, 3),
), 1):
    counted = struct.pack("<Q", number) + frame.ljust(22, b"\0")
    ring += counted[:8] + struct.pack("<H", flight_check(counted)) + counted[8:]
seed("flight_record", ring)
