"""The edge as a function of AWS Lambda: ``storage.edge.aws_lambda.handler`` answers what asks for it over HTTP.

`events.py` reads what a function URL, API Gateway and an Application Load Balancer make of a request, and writes what
they want of a reply. `function.py` is one instance of the function: it holds a generation, looks for a newer one before
it answers where it may have missed one, answers by `storage.edge.respond`, and writes the line of the log.
"""

from storage.edge.aws_lambda.function import LambdaFunction, handler

__all__ = ["LambdaFunction", "handler"]
