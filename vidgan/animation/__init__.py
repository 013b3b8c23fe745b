"""Moving the figure in a picture as another moves: training, evaluation, films, and skeletons to translate from."""
