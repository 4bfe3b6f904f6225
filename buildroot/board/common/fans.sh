#!/bin/sh
# Prints what of a board file's fans the image can bring to full speed before the keeper runs: the list of rootfs_overlay/sbin/fans-full.
#
#   fans.sh BOARD.TOML
#
# Fans behind a controller on I2C have none of the kernel's outputs, so they are not in it.
set -eu
awk '
function value(name, text) {
	if (!match(text, "[ {]" name " = \"?[A-Za-z0-9_.-]+"))
		return ""
	text = substr(text, RSTART + 1, RLENGTH - 1)
	sub(/^[a-z_]+ = "?/, "", text)
	return text
}
/^\[\[fans\]\]/ { fans++ }
/^control = / {
	controls++
	output = ""
	if (sub(/^control = \{ kind = "pwm", pwm = /, "")) {
		kind = value("kind", " " $0)
		if (kind == "sysfs") {
			polarity = value("inversed", $0) == "true" ? "inversed" : "normal"
			output = kind " " value("chip", $0) " " value("channel", $0) " " value("period_ns", $0) " " polarity
			words = 5
		} else if (kind == "hwmon") {
			output = kind " " value("device", $0) " " value("channel", $0)
			words = 3
		}
		if (split(output, parts, " ") != words || words == 0) {
			print "fans.sh: not understood: " $0 >"/dev/stderr"
			exit 1
		}
		if (!seen[output]++)
			print output
	}
}
END {
	if (fans != controls) {
		print "fans.sh: " fans + 0 " fans, but " controls + 0 " lines of how they are driven" >"/dev/stderr"
		exit 1
	}
}' "$1"
