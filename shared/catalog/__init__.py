"""What is offered: merchants and their services."""
