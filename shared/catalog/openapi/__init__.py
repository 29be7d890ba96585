"""The OpenAPI document of a service.

Owns its import (`service`), its check in a process of its own (`vetting`), and the list of its operations that the
marketplace shows. AMS's own OpenAPI document is `shared.api.openapi`.
"""
