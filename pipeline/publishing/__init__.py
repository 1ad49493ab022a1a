"""Publishing a release folder on a Hub, and taking back what must not be kept any more.

`publish` sends a verified folder as one commit and a tag. `take_back` purges a post from all that
was made of it, publishes the release without it, and searches for its words afterwards.
"""
