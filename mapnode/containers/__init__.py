"""Running MAPs in containers: any image of the allow-list, confined, whoever made it (docs/decisions/0027)."""
