"""What is measured: implementations of the RMSProp step. Imports torch alone."""
