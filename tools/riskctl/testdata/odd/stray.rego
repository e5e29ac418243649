package stray

deny if input.amount > 1
