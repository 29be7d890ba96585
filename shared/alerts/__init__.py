"""Alerts: rules over usage that tell an owner once when a threshold is reached."""
