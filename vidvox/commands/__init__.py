"""The subcommands of `vidvox`, one file each; torch is imported only after the settings have been checked."""
