# What a developer runs before a commit lands, and what .ci/run runs.

CARGO ?= cargo
KNOTS ?= target/peers/knots
POOLS ?= target/peers/pools
SV2 ?= target/peers/sv2

.PHONY: check suites fmt clippy fuzz test test-firmware node pools sv2-peers gates demo-smoke peers page-test bench msrv

check: fmt clippy scripts gates node pools fuzz instructions msrv image
	.ci/side-by-side.sh suites image-run

# What waits for much of its time, where the image's machines compute.
suites: test test-firmware demo-smoke peers page-test

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features --features firmware -- -D warnings

# Each fuzz target for a few seconds: make fuzz FUZZ_SECONDS=60 for longer. They are a workspace of their own, which nothing
# else would hold to what they call.
FUZZ_SECONDS ?= 3
fuzz:
	fuzz/run.sh $(FUZZ_SECONDS)

# The README's test command.
test:
	$(CARGO) test --workspace

# What differs where the firmware's features are all there is.
test-firmware:
	$(CARGO) test --no-default-features --features firmware --lib --test pool_test

# A real Bitcoin node for tests/solo_node.rs; a no-op when it is there already.
node:
	tests/peers/bitcoin-knots.sh $(KNOTS)

# Real pools for tests/real_pools; a no-op when they are there already.
pools:
	tests/peers/pools.sh $(POOLS)

# The reference programs of Stratum v2, and the tests that mine with them. An hour of one core at the first use, so no
# part of `check`.
sv2-peers:
	tests/peers/sv2.sh $(SV2)
	TEST_SV2=$(abspath $(SV2)) $(CARGO) test --test real_sv2 -- --nocapture --test-threads=1

# Limits that are counted, not judged: crates in the firmware build, size of the binary.
gates:
	.ci/gates.sh

# The README's first command, for a few seconds: it must find accepted shares and end by itself.
demo-smoke:
	.ci/demo-smoke.sh

# The tools that owners have, against the running demo; each fetches its tool at the first use.
peers:
	tests/peers/defmt.sh
	tests/peers/promtool.sh
	tests/peers/pyasic.sh
	tests/peers/schemathesis.sh

# A person's way through the page of the running demo, in Debian's Chromium.
page-test:
	tests/browser/run.sh

bench:
	$(CARGO) bench --workspace

# The oldest compiler that is promised, which is the one of the cross builds: it must take all features and tests, too.
msrv: cross
	RUSTC=$(abspath target/cross/bin/rustc-cross) $(CARGO) check --workspace --all-targets --target-dir target/msrv

.PHONY: cross std musl arm arm64 arm-musl arm64-musl instructions test-arm test-arm64 board-test image image-run image-test systemd-test kernel-check release scripts

# Cross builds by Debian's own packages; the toolchain is made at the first use. The standard library is built along, as small as the rest.
arm: std
	CROSS_STD=own RUSTFLAGS="$$(deploy/firmware/rustflags.sh armv7)" \
		deploy/cross/cargo.sh armv7 build --release --no-default-features --features firmware

arm64: std
	CROSS_STD=own RUSTFLAGS="$$(deploy/firmware/rustflags.sh arm64)" \
		deploy/cross/cargo.sh arm64 build --release --no-default-features --features firmware

# The same as static programs, for systems with another C library or none.
arm-musl: musl
	RUSTFLAGS="$$(deploy/firmware/rustflags.sh armv7-musl)" \
		deploy/cross/cargo.sh armv7-musl build --release --no-default-features --features firmware

arm64-musl: musl
	RUSTFLAGS="$$(deploy/firmware/rustflags.sh arm64-musl)" \
		deploy/cross/cargo.sh arm64-musl build --release --no-default-features --features firmware

musl: std
	deploy/cross/musl.sh

std: cross
	deploy/cross/std.sh

# What a step of work costs on a control board, in instructions, held to limits.
instructions: cross
	.ci/instructions.sh

# The same tests as ARM binaries under qemu-user, but for what tests/arm/left-out.txt names.
test-arm: cross
	tests/arm/run.sh armv7

test-arm64: cross
	tests/arm/run.sh arm64

# The daemon on emulated control boards with a real kernel: tests/board/run.py.
board-test: arm arm64
	tests/board/setup.sh
	$(CARGO) build --package cgminer-emulator
	python3 -B tests/board/run.py --armv7 target/cross-build/armv7-unknown-linux-gnueabihf/release/cgminer-rs \
		--arm64 target/cross-build/aarch64-unknown-linux-gnu/release/cgminer-rs --emulator target/debug/cgminer-emulator

# An image with two slots: boots, updates, falls back, and loses its power at fifty moments of an update. What it is made of is fetched
# and built at the first use.
CUTS ?= 50
image-test: image image-run

image: cross
	tests/image/setup.sh
	CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CROSS_TARGET_DIR=target/cross-image \
		deploy/cross/cargo.sh arm64 build --release --no-default-features --features emulator,tls
	tests/image/build.sh target/cross-image/aarch64-unknown-linux-gnu/release/cgminer-rs target/image-test

image-run:
	python3 -B tests/image/run.py target/image-test --cuts $(CUTS)

# The systemd unit under systemd, in a container of its own.
systemd-test:
	$(CARGO) build --release
	tests/systemd/run.sh

# The boards' device trees and the options of kernel and boot loader, against Debian's sources of Linux and U-Boot.
kernel-check:
	tests/image/kernel-check.sh

release:
	deploy/release.sh

# Scripts of the firmware and of its tests, held to shellcheck; the systemd unit to systemd.
scripts:
	.ci/scripts.sh

cross:
	deploy/cross/toolchain.sh
