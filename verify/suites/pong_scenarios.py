SCENARIOS: tuple = ()
