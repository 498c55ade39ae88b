"""dockersim on macOS and Windows, as far as that can be seen on Linux; ``pretend`` says how."""
