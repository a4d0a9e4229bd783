/** Mantine's looks for the router's links. */
import { Anchor, Button, type AnchorProps, type ButtonProps } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import type { AnchorHTMLAttributes, Ref } from "react";

type Native = { ref?: Ref<HTMLAnchorElement> };
type Attributes<Props> = Native & Props & Omit<AnchorHTMLAttributes<HTMLAnchorElement>, keyof Props>;

export const TextLink = createLink((props: Attributes<AnchorProps>) => <Anchor {...props} />);
export const ButtonLink = createLink((props: Attributes<ButtonProps>) => <Button component="a" {...props} />);
export const PlainLink = createLink((props: Native & AnchorHTMLAttributes<HTMLAnchorElement>) => <a {...props} />);
