"""What people see, drawn in this process from events that are made up."""
