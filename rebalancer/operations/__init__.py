"""What people and the calendar ask for: requests, schedules, halts and approvals."""
