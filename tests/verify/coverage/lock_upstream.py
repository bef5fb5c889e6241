"""A lock with ten wheels: each has one right action, and a wrong one sends back to the first."""


class Lock:
    def __init__(self):
        self.wheel = 0

    def turn(self, action):
        """Whether it opened."""
        if self.wheel == 0:
            right = action == 2
        elif self.wheel == 1:
            right = action == 0
        elif self.wheel == 2:
            right = action == 3
        elif self.wheel == 3:
            right = action == 1
        elif self.wheel == 4:
            right = action == 0
        elif self.wheel == 5:
            right = action == 1
        elif self.wheel == 6:
            right = action == 2
        elif self.wheel == 7:
            right = action == 3
        elif self.wheel == 8:
            right = action == 0
        else:
            right = action == 2
        self.wheel = self.wheel + 1 if right else 0
        if self.wheel == 10:
            self.wheel = 0
            return True
        return False

    def describe(self):
        return f"at wheel {self.wheel}" if self.wheel else "at the start"
