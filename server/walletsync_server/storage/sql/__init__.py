"""What engines that speak SQL share: schema, migrations, queries. Which engine it is, the connection says."""
