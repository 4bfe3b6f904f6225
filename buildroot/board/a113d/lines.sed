# Turns board/boards/a113d-s19jpro.toml into one for dts/amlogic/meson-axg-control-board.dts.
s/{ number = 454 }/{ name = "HB0_RST" }/
s/{ number = 455 }/{ name = "HB1_RST" }/
s/{ number = 456 }/{ name = "HB2_RST" }/
s/{ number = 439 }/{ name = "HB0_PLUG" }/
s/{ number = 440 }/{ name = "HB1_PLUG" }/
s/{ number = 441 }/{ name = "HB2_PLUG" }/
s/{ number = 437 }/{ name = "PSU_EN" }/
s/{ number = 453 }/{ name = "LED_GREEN" }/
s/{ number = 438 }/{ name = "LED_RED" }/
s/{ number = 445 }/{ name = "BTN_IP" }/
s/{ number = 447 }/{ name = "TACH_0" }/
s/{ number = 448 }/{ name = "TACH_1" }/
s/{ number = 449 }/{ name = "TACH_2" }/
s/{ number = 450 }/{ name = "TACH_3" }/
# The driver's own name for its ports.
s#"/dev/ttyS\([0-9]\)"#"/dev/ttyAML\1"#
