"""The Greenroom server: four services behind protobuf contracts. Imports nothing heavy."""
