"""Services, from draft to retired.

Owns their fields, status, logo and announced versions (`service`), what every write of one does (`changes`), what waits
for approval of a live one (`revisions`) and the decision (`reviews`), how many a merchant may have (`quota`), and
listing them anew when their merchant changes (`relisting`). Not here: their OpenAPI document
(`shared.catalog.openapi`), where calls go (`shared.catalog.upstreams`), how the public finds them
(`shared.catalog.marketplace`).
"""
