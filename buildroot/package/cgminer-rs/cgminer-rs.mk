################################################################################
#
# cgminer-rs
#
################################################################################

CGMINER_RS_VERSION = 0.1.0
CGMINER_RS_SITE = $(BR2_EXTERNAL_CGMINER_RS_PATH)/..
CGMINER_RS_SITE_METHOD = local
CGMINER_RS_LICENSE = MIT or Apache-2.0
CGMINER_RS_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE
# No emulated machine in a firmware image.
CGMINER_RS_CARGO_BUILD_OPTS = --no-default-features --features firmware
CGMINER_RS_CARGO_INSTALL_OPTS = --no-default-features --features firmware
# Small before fast, as the profile of the project says; Buildroot has its own for all programs, which comes before this.
CGMINER_RS_CARGO_ENV = \
	CARGO_PROFILE_RELEASE_OPT_LEVEL="z" \
	CARGO_PROFILE_RELEASE_LTO="fat" \
	CARGO_PROFILE_RELEASE_CODEGEN_UNITS="1"
# Nothing reads unwind tables where a panic aborts.
CGMINER_RS_NO_UNWIND_TABLES = \
	-Cforce-unwind-tables=no \
	-Clink-arg=-Wl,-T,$(@D)/deploy/firmware/discard-unwind-tables.ld \
	-Clink-arg=-Wl,--no-eh-frame-hdr
# Thumb-2 code takes a quarter less room. The variable is Buildroot's own for ARM processors; its flag comes first here, because this
# takes its place.
ifeq ($(BR2_ARM_CPU_HAS_THUMB2),y)
CGMINER_RS_CARGO_ENV += \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="-Clink-arg=-Wl,--allow-multiple-definition \
	-Ctarget-feature=+thumb-mode -Cllvm-args=-enable-machine-outliner=always $(CGMINER_RS_NO_UNWIND_TABLES)"
else ifeq ($(BR2_aarch64),y)
CGMINER_RS_CARGO_ENV += \
	CARGO_TARGET_$(call UPPERCASE,$(RUSTC_TARGET_NAME))_RUSTFLAGS="$(CGMINER_RS_NO_UNWIND_TABLES)"
endif
# The tree may hold build output, which may be this very build's.
CGMINER_RS_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude=/target --exclude=/fuzz/target

# Buildroot vendors what it downloads, but not a local tree. A tree that has VENDOR already needs no network here.
define CGMINER_RS_VENDOR
	mkdir -p $(@D)/.cargo $(BR_CARGO_HOME)
	cd $(@D) && { test -d VENDOR || \
		$(TARGET_MAKE_ENV) $(PKG_COMMON_CARGO_ENV) cargo vendor --locked VENDOR >/dev/null; }
	printf '[source.crates-io]\nreplace-with = "vendored"\n[source.vendored]\ndirectory = "VENDOR"\n' \
		>$(@D)/.cargo/config.toml
endef
CGMINER_RS_PRE_BUILD_HOOKS += CGMINER_RS_VENDOR

define CGMINER_RS_USERS
	cgminer -1 cgminer -1 * - - dialout Mining process of cgminer-rs
endef

define CGMINER_RS_PERMISSIONS
	/etc/cgminer-rs d 750 root cgminer - - - - -
	/etc/cgminer-rs/cgminer-rs.toml f 640 root cgminer - - - - -
endef

define CGMINER_RS_INSTALL_CONFIGURATION
	$(INSTALL) -D -m 0640 $(CGMINER_RS_PKGDIR)/cgminer-rs.toml \
		$(TARGET_DIR)/etc/cgminer-rs/cgminer-rs.toml
endef
CGMINER_RS_POST_INSTALL_TARGET_HOOKS += CGMINER_RS_INSTALL_CONFIGURATION

define CGMINER_RS_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(CGMINER_RS_PKGDIR)/S05cgminer-rs \
		$(TARGET_DIR)/etc/init.d/S05cgminer-rs
	$(INSTALL) -D -m 0755 $(CGMINER_RS_PKGDIR)/S95cgminer-rs-confirm \
		$(TARGET_DIR)/etc/init.d/S95cgminer-rs-confirm
endef

define CGMINER_RS_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/deploy/cgminer-rs.service \
		$(TARGET_DIR)/usr/lib/systemd/system/cgminer-rs.service
endef

$(eval $(cargo-package))
