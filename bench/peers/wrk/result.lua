-- For the other scripts to include: prints a run's figures on one line that a program can read.

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    "result requests=%d microseconds=%d status_errors=%d socket_errors=%d\n",
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
