"""A bridge between the channels of a board and an MQTT broker: see README.md beside this."""
