# Turns board/boards/am335x-s19jpro.toml into one for dts/ti/omap/am335x-control-board.dts.
# That tree tells nothing of the IO board, so the owner has to name the board.
/^device_tree = /d
s/{ number = 49 }/{ name = "HB0_RST" }/
s/{ number = 60 }/{ name = "HB1_RST" }/
s/{ number = 27 }/{ name = "HB2_RST" }/
s/{ number = 51 }/{ name = "HB0_PLUG" }/
s/{ number = 48 }/{ name = "HB1_PLUG" }/
s/{ number = 47 }/{ name = "HB2_PLUG" }/
s/{ number = 59 }/{ name = "PSU_EN" }/
s/{ number = 23 }/{ name = "LED_GREEN" }/
s/{ number = 45 }/{ name = "LED_RED" }/
s/{ number = 7 }/{ name = "TACH_REAR0" }/
s/{ number = 20 }/{ name = "TACH_REAR1" }/
s/{ number = 110 }/{ name = "TACH_FRONT1" }/
s/{ number = 112 }/{ name = "TACH_FRONT0" }/
# Newer kernels number these chips one by one, older ones by their first channel.
s/"pwmchip2"/"pwmchip1"/
