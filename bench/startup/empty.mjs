// What the process itself costs.
process.exitCode = 0;
