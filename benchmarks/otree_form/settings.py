"""An oTree project with the same task: one reply of about 900 characters and two ten-point scales, 24 times over."""

SESSION_CONFIGS = [{"name": "load", "app_sequence": ["rating"], "num_demo_participants": 1}]
SESSION_CONFIG_DEFAULTS = {"real_world_currency_per_point": 1, "participation_fee": 0}
LANGUAGE_CODE = "en"
SECRET_KEY = "nothing here is secret"
