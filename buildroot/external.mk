include $(sort $(wildcard $(BR2_EXTERNAL_CGMINER_RS_PATH)/package/*/*.mk))
