"""The admin side: health, metrics, statistics and quotas, on a listener of its own.

observations  counts of one process           journal   the same events as log lines
snapshot      counts as they travel           workers   the counts of all workers of an instance
metrics       Prometheus                      stats, quota, health   JSON
forecasts     what is said of long budgets
doors         who is let in                   app       the listener's application
"""
