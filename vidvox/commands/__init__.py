"""The subcommands of `vidvox`, a file each; torch is imported only once the settings were found to be right."""
