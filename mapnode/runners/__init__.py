"""Ways to run an app; all keep the contract of operators.core.contract."""
