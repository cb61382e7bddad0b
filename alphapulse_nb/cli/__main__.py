from alphapulse_nb.cli import main

main()
