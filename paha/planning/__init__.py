"""What a model will cost before anything is allocated: parameters, memory, time."""
